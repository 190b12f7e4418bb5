import { openStack } from '../../src/stack/stack.ts'

/** Run as a program: opens a stack in the folder given, prints the pids of its servers, and waits to be killed. */
const stack = await openStack({ dir: process.argv[2] ?? '', temporary: true })
process.stdout.write(`${JSON.stringify(stack.servers.map(({ pid }) => pid))}\n`)
