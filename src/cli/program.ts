import { Command, CommanderError } from 'commander'
import { demoCommand } from './demo.ts'
import { dlqCommand } from './dlq.ts'
import { doctorCommand } from './doctor.ts'
import { describeCommand } from './describe.ts'
import { devCommand } from './dev.ts'
import { replayCommand } from './replay.ts'
import { runCommand } from './run.ts'
import { simulateCommand } from './simulate.ts'
import { tailCommand } from './tail.ts'
import { topicsCommand } from './topics.ts'
import { validateCommand } from './validate.ts'
import { verifyCommand } from './verify.ts'
import { warmCommand } from './warm.ts'
import { createTopicsOf } from './create-topics.ts'
import { failureText, exitCodeOf } from './failure.ts'
import { MillraceError } from '../errors.ts'
import { loadTopology } from '../topology/load.ts'
import { version } from '../version.ts'

/** For commands that score nothing: the model may come later. */
const loadPlan = (file: string): ReturnType<typeof loadTopology> =>
  loadTopology(file, process.env, { model: 'optional' })

const program = new Command('millrace')
  .description(
    'Exactly-once inference on Kafka: events in, windowed features, ONNX models, predictions and alerts out.',
  )
  .version(version)
  .exitOverride()
  .addCommand(runCommand())
  .addCommand(validateCommand())
  .addCommand(describeCommand())
  .addCommand(devCommand(createTopicsOf))
  .addCommand(demoCommand())
  .addCommand(simulateCommand(loadPlan))
  .addCommand(replayCommand())
  .addCommand(verifyCommand())
  .addCommand(warmCommand())
  .addCommand(tailCommand(loadPlan))
  .addCommand(dlqCommand())
  .addCommand(doctorCommand())
  .addCommand(topicsCommand())
settle(program)

/** The command of the process's arguments; ends the process. */
export async function runProgram(): Promise<never> {
  try {
    await program.parseAsync()
    // Sockets of closed clients may linger in the event loop; everything was drained.
    process.exit(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2)
    process.stderr.write(failureText(error))
    // A hung model run holds its thread: every polite exit would wait for it.
    if (error instanceof MillraceError && error.code === 'MODEL_HANG') process.kill(process.pid, 'SIGKILL')
    process.exit(exitCodeOf(error))
  }
}

/** Wrong usage of a command inside a command, such as `dev up`, ends with code 2 as well. */
function settle(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent)
    settle(command)
  }
}
