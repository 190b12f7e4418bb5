import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MillraceError } from '../errors.ts'

const run = promisify(execFile)
const javaMin = 17 // Kafka 4's own minimum for brokers

const pointElsewhere =
  'or point at servers you already have: MILLRACE_BROKERS=host:port,… and MILLRACE_REDIS=redis://host:port'

/** The java binary to use: JAVA_HOME, else PATH. Throws STACK_UNAVAILABLE below Java 17. */
export async function findJava(): Promise<string> {
  const home = process.env['JAVA_HOME']
  const java = home ? join(home, 'bin', 'java') : 'java'
  const version = await javaVersion(java)
  if (version !== null && version >= javaMin) return java
  const found = version === null ? `no Java runs (tried ${java})` : `${java} is version ${version}`
  const message =
    `The local Kafka needs Java ${javaMin} or newer: ${found}. Install it ` +
    `(Debian/Ubuntu: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17), set JAVA_HOME, ${pointElsewhere}.`
  throw new MillraceError('STACK_UNAVAILABLE', message)
}

async function javaVersion(java: string): Promise<number | null> {
  try {
    const { stdout, stderr } = await run(java, ['-version'])
    return parseJavaVersion(stderr + stdout)
  } catch {
    return null
  }
}

/** 17 from 'openjdk version "17.0.15" …', 8 from 'java version "1.8.0_292"'. */
export function parseJavaVersion(text: string): number | null {
  const match = /version "(?:1\.)?(\d+)/.exec(text)
  return match?.[1] === undefined ? null : Number(match[1])
}

// 2.10 resolves every artifact named here; from 3.0 on the plugin also wants the registry's parent pom, which is not published
export const dependencyPlugin = 'org.apache.maven.plugins:maven-dependency-plugin:2.10'

/** Runs Maven in `cwd` with checksums enforced. `what` names the download in messages. */
export async function runMaven(
  args: readonly string[],
  cwd: string,
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await run('mvn', ['-q', '-B', '-C', ...args], {
      cwd,
      maxBuffer: 64 * 1024 * 1024,
      ...(signal ? { signal } : {}),
    })
  } catch (cause) {
    signal?.throwIfAborted()
    throw new MillraceError('STACK_UNAVAILABLE', mavenProblem(cause, what), { cause })
  }
}

/** Why nothing can be downloaded with Maven, or null. */
export async function mavenMissing(what: string): Promise<string | null> {
  try {
    await run('sh', ['-c', 'command -v mvn'])
    return null
  } catch {
    return mavenProblem({ code: 'ENOENT' }, what)
  }
}

function mavenProblem(cause: unknown, what: string): string {
  const { code, stdout, stderr } = cause as { code?: unknown; stdout?: string; stderr?: string }
  if (code === 'ENOENT') {
    return (
      `Downloading ${what} needs Maven, and there is no mvn on PATH. Install it ` +
      `(Debian/Ubuntu: apt install maven; macOS: brew install maven), ${pointElsewhere}.`
    )
  }
  const lines = `${stdout ?? ''}${stderr ?? ''}`.split('\n').filter((line) => line.includes('ERROR'))
  const shown = lines.slice(0, 3).join('\n')
  return `Downloading ${what} with Maven failed (network, proxy or disk?):\n${shown}\nCorrect it and start again, ${pointElsewhere}.`
}
