import { createHash } from 'node:crypto'
import type { Conversation, Dialect, WireRequest } from './dialect.ts'
import { RespFrames, respArguments } from './resp-frames.ts'

const push = '>'.charCodeAt(0)
const listening = new Set(['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE', 'MONITOR'])

/**
 * Requests are named by their command, and by the script of `scripts` (name to Lua source) that EVALSHA or EVAL runs;
 * replies are matched in order. A client that subscribes gets messages that answer nothing from then on.
 */
export function redisDialect(scripts: ReadonlyMap<string, string> = new Map()): Dialect {
  const nameBySha = new Map([...scripts].map(([name, lua]) => [sha1(lua), name]))
  return { isOrdered: true, converse: () => converse(nameBySha) }
}

function converse(nameBySha: ReadonlyMap<string, string>): Conversation {
  const requestFrames = new RespFrames()
  const replyFrames = new RespFrames()
  const open: WireRequest[] = []
  let isListening = false
  return {
    requests: (chunk) =>
      requestFrames.push(chunk).map((bytes) => ({ names: namesOf(bytes, nameBySha), bytes })),
    unfinished: () => requestFrames.rest(),
    sent: (request) => {
      isListening ||= request.names.some((name) => listening.has(name))
      if (!isListening && request.names.length > 0) open.push(request) // an empty line is not answered
    },
    replies: (chunk) =>
      replyFrames.push(chunk).map((bytes) => {
        const request = bytes[0] === push ? null : (open.shift() ?? null)
        return { bytes, request, names: request === null ? [] : namesOfReply(request, bytes) }
      }),
    get open() {
      return open.length
    },
  }
}

function namesOf(bytes: Buffer, nameBySha: ReadonlyMap<string, string>): string[] {
  const [command, subject] = respArguments(bytes, 2)
  if (command === undefined) return []
  const name = command.toString().toUpperCase()
  const script = subject === undefined ? undefined : scriptOf(name, subject, nameBySha)
  return script === undefined ? [name] : [script, name]
}

function scriptOf(
  command: string,
  subject: Buffer,
  nameBySha: ReadonlyMap<string, string>,
): string | undefined {
  if (command.startsWith('EVALSHA')) return nameBySha.get(subject.toString().toLowerCase())
  if (command.startsWith('EVAL')) return nameBySha.get(sha1(subject))
  return command.startsWith('FCALL') ? subject.toString() : undefined
}

/** A script that the server did not know did not run: clients send it again in full. */
function namesOfReply({ names }: WireRequest, bytes: Buffer): readonly string[] {
  return bytes.toString('latin1', 0, 9) === '-NOSCRIPT' ? names.slice(-1) : names
}

function sha1(lua: string | Buffer): string {
  return createHash('sha1').update(lua).digest('hex')
}
