import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { MillraceError } from '../errors.ts'
import { clientIdBase, type KafkaPlan } from '../kafka/plan.ts'
import type { SignalSource } from './stop-signal.ts'
import type { MemberExit, MemberProcess } from './members.ts'

const stopWord = 'stop'

/** Starts this program again as a member, with a channel whose end tells it that the parent is gone. */
export function startMember(program: string, args: readonly string[]): MemberProcess {
  const child = fork(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const { promise, resolve } = Promise.withResolvers<MemberExit>()
  child.on('exit', (code, signal) => resolve({ code, signal }))
  child.on('error', () => resolve({ code: 1, signal: null })) // could not be started
  return {
    pid: child.pid ?? 0,
    ended: promise,
    stop: () => void (child.connected && child.send(stopWord, () => undefined)),
    kill: () => void child.kill('SIGKILL'),
  }
}

export interface ParentChannel extends SignalSource {
  readonly connected?: boolean
  on(event: 'SIGINT' | 'SIGTERM' | 'disconnect', listener: () => void): unknown
  on(event: 'message', listener: (message: unknown) => void): unknown
}

/**
 * The stop signal of a member: by the parent, or SIGINT or SIGTERM, which a terminal or a supervisor sends to the parent and its
 * members alike, so the second one means nothing. Without its parent a member ends at once (`die`).
 */
export function listenToParent(
  process: ParentChannel,
  die: () => void,
): { readonly signal: AbortSignal; [Symbol.dispose](): void } {
  if (process.connected !== true) {
    throw new MillraceError('USAGE', '--member is for processes started by `millrace run --processes`.')
  }
  const stop = new AbortController()
  const onStop = (): void => stop.abort()
  process.on('SIGINT', onStop)
  process.on('SIGTERM', onStop)
  process.on('message', (message) => {
    if (message === stopWord) onStop()
  })
  process.on('disconnect', die)
  return { signal: stop.signal, [Symbol.dispose]: () => undefined }
}

/** Names a member the same after each of its restarts, and unlike the members of any other parent. */
export function memberNames({ instance }: KafkaPlan): (index: number) => string {
  const parent = instance ?? randomBytes(4).toString('hex')
  return (index) => `${parent}-${index}`
}

/** The member's own name in the group: what a crash leaves behind is known by it at the next start. */
export function asMember(kafka: KafkaPlan, member: string): KafkaPlan {
  return { ...kafka, instance: member, clientId: `${clientIdBase(kafka)}@${member}` }
}

/** Address of one member: ports count up from the one given; 0 and `off` are for all. */
export function memberHttp(
  address: { host: string; port: number } | null,
  index: number,
  count: number,
): string {
  if (address === null) return 'off'
  const { host, port } = address
  if (port + count - 1 > 65_535) {
    throw new MillraceError(
      'USAGE',
      `--http needs ${count} ports from ${port} on; there is none above 65535.`,
    )
  }
  return `${host.includes(':') ? `[${host}]` : host}:${port === 0 ? 0 : port + index - 1}`
}
