import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const answerMaxMs = 10_000 // a daemon that takes longer is of no use for a demo or a test

/** Why containers cannot be started, in words; null when the daemon answers. That the client exists says nothing. */
export function dockerProblem(): Promise<string | null> {
  return problemOf(['info', '--format', '{{.ServerVersion}}'])
}

/** As dockerProblem; also asks for `docker compose`, a plugin that some installations lack. */
export async function composeProblem(): Promise<string | null> {
  return (await dockerProblem()) ?? (await problemOf(['compose', 'version']))
}

async function problemOf(args: readonly string[]): Promise<string | null> {
  const command = ['docker', ...args.filter((arg) => !arg.startsWith('-') && !arg.startsWith('{'))].join(' ')
  try {
    const { stdout, stderr } = await run('docker', [...args], { timeout: answerMaxMs })
    // some clients print the problem of the daemon and end with 0
    return stdout.trim() === '' ? `\`${command}\` says nothing. ${firstLine(stderr)}`.trim() : null
  } catch (cause) {
    const { code, killed, stderr } = cause as { code?: unknown; killed?: boolean; stderr?: string }
    if (code === 'ENOENT') return 'there is no docker on PATH'
    if (killed) return `\`${command}\` did not answer within ${answerMaxMs / 1000} s`
    return `\`${command}\` failed: ${firstLine(stderr ?? '')}`
  }
}

function firstLine(text: string): string {
  return (text.trim().split('\n')[0] ?? '').replace(/[.?!]+$/, '')
}
