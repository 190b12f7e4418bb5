import { basename } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * Files that take long, so that none of them is left over for one worker while the others have nothing to do. Without a
 * cache of earlier runs Vitest begins with the files of most bytes, and the simulation's are short. In seconds on two
 * idle cores; only the order counts.
 */
const longFiles: Readonly<Record<string, number>> = {
  'depth-1.test.ts': 60,
  'depth-2.test.ts': 60,
  'depth-3.test.ts': 60,
  'explore-watermarks.test.ts': 50,
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const usual = await super.sort(files)
    return usual.toSorted((a, b) => groupOf(a) - groupOf(b) || lengthOf(b) - lengthOf(a))
  }
}

function groupOf({ project }: TestSpecification): number {
  return project.config.sequence.groupOrder
}

function lengthOf({ moduleId }: TestSpecification): number {
  return longFiles[basename(moduleId)] ?? 0
}
