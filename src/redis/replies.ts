import { MillraceError, type ErrorCode } from '../errors.ts'
import type { RedisAddress } from './address.ts'

/*
 * What an error from Redis means. Servers before 7 wrap what a command in a script was answered:
 * "ERR Error running script (call to f_…): @user_script:4: -OOM command not allowed …".
 */

/** The error that must end the service; null: waiting may mend it. */
export function finalError(error: unknown, address: RedisAddress): MillraceError | null {
  const message = messageOf(error)
  const reply = replyIn(message)
  const where = `Redis ${address.shown}`
  if (/^(NOAUTH|WRONGPASS|NOPERM|DENIED)/.test(reply) || /^ERR (AUTH|invalid password)/.test(reply)) {
    return failure('REDIS_UNAUTHORISED', `${where} refuses the credentials: ${reply}`, error)
  }
  const mode = otherMode(reply, address)
  if (mode !== null) return failure('REDIS_MODE', `${where} ${mode} (it answered: ${reply})`, error)
  if (passing.test(reply)) return null
  if (/^(WRONGTYPE|CROSSSLOT|ERR )/.test(reply)) {
    return failure('INTERNAL', `${where} refused a command: ${message}`, error)
  }
  return null
}

/** Redis has reached maxmemory, and may not evict: it refuses writes until there is room. */
export function isFull(error: unknown): boolean {
  return replyIn(messageOf(error)).startsWith('OOM')
}

/** A server that is loading, overtaken, or part of a cluster that is being changed: it will do, or another one. */
export function isBusy(error: unknown): boolean {
  return busy.test(replyIn(messageOf(error)))
}

/** This server is, or became, a replica: the master is somewhere else. */
export function isReplica(error: unknown): boolean {
  return /^(READONLY|MASTERDOWN)/.test(replyIn(messageOf(error)))
}

/** With the reasons that the client keeps beside it. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const last: unknown = 'lastNodeError' in error ? error.lastNodeError : undefined
  return last instanceof Error ? `${error.message} Last error: ${last.message}` : error.message
}

const busy = /^(LOADING|BUSY|TRYAGAIN|MOVED|ASK|CLUSTERDOWN|READONLY|MASTERDOWN|NOREPLICAS|MISCONF) /
const passing =
  /^ERR (max number of clients reached|No such master with that name|Error running script .*(timeout|killed))/

function otherMode(reply: string, address: RedisAddress): string | null {
  if (address.kind !== 'cluster' && /^(MOVED|ASK|CLUSTERDOWN) /.test(reply)) {
    return 'is part of a Redis Cluster; write redis+cluster://…'
  }
  if (address.kind === 'cluster' && reply.startsWith('ERR This instance has cluster support disabled')) {
    return 'is no Redis Cluster; write redis://… or redis+sentinel://…'
  }
  if (address.kind === 'sentinel' && /^ERR unknown (sub)?command.*sentinel/i.test(reply)) {
    return 'names servers that are no sentinels; write their addresses, or redis://…'
  }
  return null
}

/** What the server said, without what the client or an outer script put around it. */
function replyIn(message: string): string {
  const inner = /(?:Last error: (?:ReplyError: )?|because |: -)((?:[A-Z]{3,} |ERR ).*)/s
  return inner.exec(message)?.[1] ?? message
}

function failure(code: ErrorCode, message: string, cause: unknown): MillraceError {
  return new MillraceError(code, message, { cause })
}
