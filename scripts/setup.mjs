#!/usr/bin/env node
/*
 * Makes a checkout ready to run: the packages of package-lock.json, and a Node >= 24 for machines whose own is
 * older. The first step of every npm script (scripts/node.sh), so it runs on Node 18 and up without packages, is
 * silent and quick when there is nothing to do, and may be interrupted and started twice at the same time.
 *
 * Progress and problems go to stderr. `--print-node` prints the Node to use on stdout.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const nodeMajorMin = 24
const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const lockFile = join(root, '.millrace', 'setup.lock')
const lockBeatMs = 2_000
const lockStaleMs = 20_000 // ten missed beats
const lockRetryMs = 200

const packages = { dir: root, what: 'the packages', size: '500 MB' }
const runtime = { dir: join(root, 'tools', 'runtime'), what: 'Node 24, the pinned runtime', size: '190 MB' }

class SetupError extends Error {
  constructor(message, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

async function main() {
  const node = chosenNode()
  const targets = node === process.execPath ? [packages] : [runtime, packages]
  if (!targets.every(isInstalled)) {
    await withLock(async () => {
      for (const target of targets) if (!isInstalled(target)) await install(target, node)
    })
  }
  if (process.argv.includes('--print-node')) process.stdout.write(`${node}\n`)
}

/** This Node when it is new enough, else the pinned one (which may not be installed yet). */
function chosenNode() {
  if (Number(process.versions.node.split('.')[0]) >= nodeMajorMin) return process.execPath
  const name = `node-${process.platform}-${process.arch}`
  const pinned = JSON.parse(readFileSync(join(runtime.dir, 'package.json'), 'utf8')).optionalDependencies
  if (name in pinned) return join(runtime.dir, 'node_modules', name, 'bin', 'node')
  throw new SetupError(
    `Node ${nodeMajorMin} or newer is needed, this is ${process.versions.node}, and there is no pinned runtime for ` +
      `${process.platform} ${process.arch}.\nInstall it (nvm install ${nodeMajorMin}; macOS: brew install ` +
      `node@${nodeMajorMin}) and put it first on PATH.`,
  )
}

// --- what is installed -------------------------------------------------------------------------------------------

/** The stamp is written last, inside node_modules, which `npm ci` removes first. */
function isInstalled(target) {
  const lockText = readFileSync(join(target.dir, 'package-lock.json'), 'utf8')
  const stamp = stampOf(lockText)
  if (readOrNull(stampFile(target)) === stamp) return true
  if (!isSatisfied(target, JSON.parse(lockText))) return false
  writeAtomically(stampFile(target), stamp) // installed by hand with npm: same packages
  return true
}

function stampFile(target) {
  return join(target.dir, 'node_modules', '.millrace-setup')
}

function stampOf(lockText) {
  const digest = createHash('sha256').update(lockText).digest('hex')
  return `${digest} ${process.platform} ${process.arch}\n`
}

/** Whether npm's own record, which it writes last, holds every package of the lock file that is not optional. */
function isSatisfied(target, lock) {
  const record = readOrNull(join(target.dir, 'node_modules', '.package-lock.json'))
  if (record === null) return false
  const installed = JSON.parse(record).packages
  const optionalHere = (entry) => entry.optional && !isForThisMachine(entry)
  return Object.entries(lock.packages).every(
    ([path, entry]) => path === '' || installed[path]?.version === entry.version || optionalHere(entry),
  )
}

/**
 * Whether npm surely installs this optional package here: it names a system or processor, and it is this one. One that
 * names neither serves optional packages for other machines; which libc fits is npm's to decide.
 */
function isForThisMachine({ os, cpu, libc }) {
  const isSpecific = libc === undefined && (os !== undefined || cpu !== undefined)
  const fits = (wanted, actual) => wanted === undefined || [wanted].flat().includes(actual)
  return isSpecific && fits(os, process.platform) && fits(cpu, process.arch)
}

function readOrNull(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

function writeAtomically(file, text) {
  const partial = `${file}.${process.pid}`
  writeFileSync(partial, text)
  renameSync(partial, file)
}

// --- installing --------------------------------------------------------------------------------------------------

async function install(target, node) {
  const progress = startProgress(`installing ${target.what} (about ${target.size} on disk, once)`)
  try {
    const { code, output } = await npmCi(target.dir, node)
    if (code !== 0) throw npmFailure(target, code, output)
    if (target === runtime) assertRuns(node)
    const lockText = readFileSync(join(target.dir, 'package-lock.json'), 'utf8')
    writeAtomically(stampFile(target), stampOf(lockText))
    progress.end('done')
  } catch (error) {
    progress.end(interruptedBy === null ? 'failed' : 'interrupted')
    throw error
  }
}

function npmCi(cwd, node) {
  const flags = [
    'ci',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--no-progress',
  ]
  const npmScript = process.env.npm_execpath // npm, when it is npm that runs us
  const isNpm = npmScript !== undefined && basename(npmScript).startsWith('npm') && existsSync(npmScript)
  const runner = existsSync(node) ? node : process.execPath
  const [command, args] = isNpm ? [runner, [npmScript, ...flags]] : ['npm', flags]
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: npmEnvironment(runner),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const collect = (chunk) => (output = (output + chunk).slice(-20_000))
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.once('error', (error) => reject(npmMissing(error)))
    child.once('close', (code, signal) => {
      runningChild = null
      resolve({ code: code ?? signal, output })
    })
    runningChild = child
    writeLock()
    if (interruptedBy !== null) child.kill('SIGKILL')
  })
}

/** The environment without what an outer `npm run` says about itself; the chosen Node first on PATH. */
function npmEnvironment(node) {
  const own = /^(npm_(package|lifecycle|config_local_prefix|command)|INIT_CWD$|NODE_OPTIONS$)/
  const kept = Object.entries(process.env).filter(([name]) => !own.test(name))
  return { ...Object.fromEntries(kept), PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` }
}

function assertRuns(node) {
  const { status, stderr, error } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  if (status === 0) return
  throw new SetupError(
    `The pinned Node does not run on this machine (${error?.message ?? stderr?.trim()}); it needs glibc 2.28 or ` +
      `newer.\nInstall Node ${nodeMajorMin} or newer another way and put it first on PATH.`,
  )
}

function npmMissing(error) {
  if (error.code !== 'ENOENT') return error
  return new SetupError('There is no npm on PATH. Install it together with Node, then start again.')
}

const knownProblems = [
  [/ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENETUNREACH|network/i, 4, 'The package registry cannot be reached. Check the network, the proxy and `npm config get registry`'],
  [/ENOSPC/, 1, 'The disk is full. Make room'],
  [/EACCES|EPERM|EROFS/, 1, 'Files may not be written here. Check who owns this folder and the npm cache (`npm config get cache`)'],
  [/EINTEGRITY/, 1, 'A download does not have the checksum of package-lock.json. Clear the npm cache (`npm cache clean --force`)'],
  [/EUSAGE|in sync/, 1, 'package.json and package-lock.json disagree. Run `npm install` and commit the lock file'],
  [/E404|ETARGET/, 1, 'The package registry does not have a package this project needs. Check `npm config get registry`'],
] // prettier-ignore

function npmFailure(target, code, output) {
  const [, exitCode, advice] = knownProblems.find(([pattern]) => pattern.test(output)) ?? [
    null,
    1,
    'See the lines above',
  ]
  const isNoise = (line) => /^(npm error)?\s*(at .*)?$|npm warn|A complete log/.test(line)
  const lines = output.split('\n').filter((line) => !isNoise(line))
  const shown = lines.slice(0, 6).map((line) => `  ${line}`)
  const where = `\`npm ci\` in ${target.dir} ended with ${code}`
  return new SetupError(
    `Installing ${target.what} failed: ${where}.\n${shown.join('\n')}\n${advice}, then start again.`,
    exitCode,
  )
}

/** One line that counts on a terminal; elsewhere a line at the start, every 15 s, and at the end. */
function startProgress(what) {
  const startedAt = Date.now()
  const isTerminal = process.stderr.isTTY && !process.env.CI
  const seconds = () => Math.round((Date.now() - startedAt) / 1000)
  const say = (text) => process.stderr.write(isTerminal ? `\r\x1b[Kset-up: ${text}` : `set-up: ${text}\n`)
  say(`${what} …`)
  const timer = setInterval(() => say(`${what} … ${seconds()} s`), isTerminal ? 1_000 : 15_000)
  const end = (outcome) => {
    clearInterval(timer)
    say(`${what}: ${outcome} after ${seconds()} s${isTerminal ? '\n' : ''}`)
  }
  return { end }
}

// --- one set-up at a time ----------------------------------------------------------------------------------------

let runningChild = null
let interruptedBy = null
let holdsLock = false

async function withLock(work) {
  await takeLock()
  holdsLock = true
  const beat = setInterval(() => touch(lockFile), lockBeatMs)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupt(signal))
  try {
    await work()
  } catch (error) {
    throw interruptedBy === null ? error : interruption()
  } finally {
    clearInterval(beat)
    holdsLock = false
    rmSync(lockFile, { force: true })
  }
  if (interruptedBy !== null) throw interruption()
}

function interruption() {
  const number = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }[interruptedBy]
  return new SetupError('Interrupted. Start again to go on; nothing half-done is left behind.', 128 + number)
}

/** npm would go on to its end after a softer signal; the next `npm ci` removes what this one leaves. */
function interrupt(signal) {
  interruptedBy ??= signal
  runningChild?.kill('SIGKILL')
}

async function takeLock() {
  mkdirSync(dirname(lockFile), { recursive: true })
  for (let told = false; ; told = true) {
    if (createOnly(lockFile, holderText())) return
    const holder = readOrNull(lockFile)
    if (holder !== null && isStale(holder) && takeOver(holder)) return
    if (!told)
      process.stderr.write(`set-up: waiting for another set-up (process ${holder?.split(' ')[0] ?? '?'}) …\n`)
    await new Promise((resolve) => setTimeout(resolve, lockRetryMs))
  }
}

/** pid, host, and the pid of the npm it started: a killed set-up can leave that one running. */
function holderText() {
  return `${process.pid} ${hostname()} ${runningChild?.pid ?? ''}`
}

function writeLock() {
  if (holdsLock) writeAtomically(lockFile, holderText())
}

function isStale(holder) {
  if (ageMs(lockFile) > lockStaleMs) return true
  const [pid, host, child] = holder.split(' ')
  if (!pid || host !== hostname()) return false
  return !isAlive(Number(pid)) && !(child && isAlive(Number(child)))
}

/** Under a guard of its own, so that only the stale lock that was judged is removed. */
function takeOver(staleHolder) {
  const guard = `${lockFile}.takeover`
  if (ageMs(guard) > lockStaleMs) rmSync(guard, { force: true })
  if (!createOnly(guard, '')) return false
  try {
    if (readOrNull(lockFile) === staleHolder) rmSync(lockFile)
    return createOnly(lockFile, holderText())
  } finally {
    rmSync(guard, { force: true })
  }
}

function createOnly(file, text) {
  try {
    writeFileSync(file, text, { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

function touch(file) {
  const now = new Date()
  try {
    utimesSync(file, now, now)
  } catch {
    // taken over, or being replaced: the next beat tells
  }
}

function ageMs(file) {
  try {
    return Date.now() - statSync(file).mtimeMs
  } catch {
    return 0
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

main().catch((error) => {
  const isKnown = error instanceof SetupError
  process.stderr.write(`set-up: ${isKnown ? error.message : (error.stack ?? error)}\n`)
  process.exitCode = isKnown ? error.exitCode : 1
})
