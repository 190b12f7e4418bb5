import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openComposeStack } from '../../../src/stack/compose-stack.ts'
import { composeProblem, dockerProblem } from '../../../src/stack/docker.ts'
import { missingForProcesses } from '../../../src/stack/missing.ts'

let dir = ''

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-docker-'))
  vi.stubEnv('PATH', dir)
  vi.stubEnv('MILLRACE_CACHE', join(dir, 'cache'))
  vi.stubEnv('JAVA_HOME', undefined)
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(dir, { recursive: true, force: true })
})

/** Puts a program of this name on PATH, which holds nothing else. */
function install(name: string, script = ''): void {
  writeFileSync(join(dir, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`)
  chmodSync(join(dir, name), 0o755)
}

describe('whether Docker can be used', () => {
  test('is answered by its daemon, not by the presence of its client', async () => {
    expect(await dockerProblem()).toBe('there is no docker on PATH')
    install('docker', 'echo Cannot connect to the daemon. >&2; exit 1')
    expect(await dockerProblem()).toBe('`docker info` failed: Cannot connect to the daemon')
    install('docker', 'echo; echo Cannot connect >&2')
    expect(await dockerProblem()).toBe('`docker info` says nothing. Cannot connect')
    install('docker', 'echo 28.2.2')
    expect(await dockerProblem()).toBeNull()
  })

  test('depends on the compose plugin too where compose is used', async () => {
    install('docker', 'if [ "$1" = compose ]; then echo unknown command >&2; exit 1; fi; echo 28.2.2')
    expect(await dockerProblem()).toBeNull()
    expect(await composeProblem()).toBe('`docker compose version` failed: unknown command')
  })
})

describe('what keeps servers from running as processes', () => {
  test('is Java for Kafka, and Maven for what was not downloaded yet', async () => {
    expect(await missingForProcesses({ kafka: true, redis: true })).toContain('needs Java 17')
    install('java', 'echo \'openjdk version "21.0.1"\' >&2')
    expect(await missingForProcesses({ kafka: true, redis: true })).toContain('Kafka 4.2.0 needs Maven')
    expect(await missingForProcesses({ kafka: false, redis: true })).toContain('Redis 7.0.15 needs Maven')
    install('sh', 'exec /bin/sh "$@"')
    install('mvn')
    vi.stubEnv('PATH', dir)
    expect(await missingForProcesses({ kafka: true, redis: true })).toBeNull()
  })

  test('is nothing for servers that are given or installed', async () => {
    expect(await missingForProcesses({ kafka: false, redis: false })).toBeNull()
    install('redis-server')
    expect(await missingForProcesses({ kafka: false, redis: true })).toBeNull()
  })
})

describe('the stack in containers', () => {
  const given = { brokers: 'kafka.example:9092', redisUrl: null, registryUrl: null }
  const wanted = { kafka: false, redis: true }

  test('starts only what is wanted, in a project of its own, and removes it', async () => {
    vi.stubEnv('PATH', `${dir}:/usr/bin:/bin`)
    install('docker', fakeDocker())
    const reports: string[] = []
    const options = {
      dir: join(dir, 'stack'),
      temporary: true,
      report: (line: string) => void reports.push(line),
    }
    const stack = await openComposeStack(options, wanted, given, 'There is no Java. Install it.')
    expect(stack.brokers).toBe(given.brokers)
    expect(stack.redisUrl).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/)
    expect(reports).toEqual(['There is no Java.', expect.stringContaining('So Docker runs redis')])
    await stack.close()
    const calls = readFileSync(join(dir, 'calls'), 'utf8').trim().split('\n')
    const projects = new Set(calls.flatMap((call) => /--project-name (\S+)/.exec(call)?.[1] ?? []))
    expect([...projects]).toEqual([expect.stringMatching(/^millrace-demo-/)])
    const commands = calls.map((call) => call.replace(/compose .*docker-compose\.yml /, ''))
    expect(commands.filter((command) => /^(up|down)/.test(command))).toEqual([
      'up --no-start redis',
      'up --detach redis',
      'down --volumes',
      'down --volumes',
    ])
  })

  test('is refused with both reasons when Docker does not answer', async () => {
    const opening = openComposeStack({ dir }, wanted, given, 'There is no Java.')
    await expect(opening).rejects.toMatchObject({
      code: 'STACK_UNAVAILABLE',
      message: expect.stringMatching(/There is no Java\.\nDocker would do as well, but there is no docker/),
    })
  })
})

/** A docker that notes its calls; its Redis is a server that answers PONG until `down`. */
function fakeDocker(): string {
  const redis = join(dir, 'redis.cjs')
  const follower = join(dir, 'follow.cjs')
  const pidFile = join(dir, 'pid')
  writeFileSync(
    redis,
    `const answer = (socket) => socket.on('data', () => socket.write('+PONG\\r\\n')).on('error', () => {})
     const listening = () => require('fs').writeFileSync('${pidFile}', String(process.pid))
     require('net').createServer(answer).listen(process.env.MILLRACE_REDIS_PORT, '127.0.0.1', listening)`,
  )
  writeFileSync(
    follower,
    `require('net').connect(process.env.MILLRACE_REDIS_PORT, '127.0.0.1').on('error', () => {}).resume()`,
  )
  return `
echo "$*" >>'${join(dir, 'calls')}'
case "$*" in
  *'up --no-start'*) ;;
  *'up --detach'*)
    '${process.execPath}' '${redis}' >/dev/null 2>&1 &
    while [ ! -s '${pidFile}' ]; do :; done ;;
  *logs*) exec '${process.execPath}' '${follower}' ;;
  *down*) if [ -s '${pidFile}' ]; then kill "$(cat '${pidFile}')"; rm '${pidFile}'; fi ;;
  *) echo 1 ;;
esac`
}
