#!/usr/bin/env node
import { startWithMemorySettings } from './cli/memory-settings.ts'

startWithMemorySettings(process)
const { runProgram } = await import('./cli/program.ts')
await runProgram()
