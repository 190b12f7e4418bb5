import { afterEach, describe, expect, test, vi } from 'vitest'
import { findJava, parseJavaVersion, runMaven } from '../../../src/stack/java.ts'
import { embeddedBinary } from '../../../src/stack/redis-server.ts'

afterEach(() => void vi.unstubAllEnvs())

describe('what the local stack needs', () => {
  test.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['openjdk version "21" 2023-09-19', 21],
    ['java version "1.8.0_292"', 8],
    ['The operation could not be completed. Unable to locate a Java Runtime.', null],
  ])('reads the version out of %j', (text, version) => {
    expect(parseJavaVersion(text)).toBe(version)
  })

  test('a missing Java is reported with how to get one and how to do without', async () => {
    vi.stubEnv('JAVA_HOME', '/nowhere')
    await expect(findJava()).rejects.toThrow(/no Java runs.*\/nowhere.*Install it.*MILLRACE_BROKERS/)
  })

  test('a missing Maven is reported with how to get one and how to do without', async () => {
    vi.stubEnv('PATH', '/nowhere')
    await expect(runMaven([], '.', 'Kafka')).rejects.toThrow(
      /Downloading Kafka needs Maven.*MILLRACE_BROKERS/,
    )
  })

  test('knows which Redis binaries can be downloaded', () => {
    expect(embeddedBinary('darwin', 'arm64')).toBe('redis-server-7.0.15-darwin-arm64')
    expect(embeddedBinary('linux', 'x64')).toBe('redis-server-7.0.15-linux-amd64')
    expect(embeddedBinary('linux', 'riscv64')).toBeNull()
    expect(embeddedBinary('win32', 'x64')).toBeNull()
  })
})
