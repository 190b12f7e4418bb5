import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export interface ListedProcess {
  readonly pid: number
  readonly parent: number
  readonly command: string
}

/** All processes that are more than a zombie (orphans may wait for their burial for ever, in a container). */
export async function listProcesses(): Promise<ListedProcess[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='])
  return stdout.split('\n').flatMap((line) => {
    const [, pid, parent, state = 'Z', command = ''] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s*(.*)$/.exec(line) ?? []
    return state.startsWith('Z') ? [] : [{ pid: Number(pid), parent: Number(parent), command }]
  })
}

export async function isRunning(pid: number): Promise<boolean> {
  return (await listProcesses()).some((one) => one.pid === pid)
}

/** Process ids of the model processes of a service. */
export async function modelProcessesOf(service: number): Promise<number[]> {
  const children = (await listProcesses()).filter(({ parent }) => parent === service)
  return children.filter(({ command }) => command.includes('millrace model')).map(({ pid }) => pid)
}
