import { describe, expect, it } from 'vitest'
import { ProcessTurns } from '../../../src/pipeline/process-turns.ts'

const never = new AbortController().signal
async function settled(turn: Promise<unknown>): Promise<boolean> {
  let done = false
  void turn.then(() => (done = true))
  await new Promise((resolve) => setImmediate(resolve))
  return done
}

describe('turns in a process', () => {
  it('are shared by any number, and an exclusive one has the process for itself', async () => {
    const turns = new ProcessTurns()
    const [first, second] = [await turns.take('shared', never), await turns.take('shared', never)]
    const exclusive = turns.take('exclusive', never)
    first()
    expect(await settled(exclusive)).toBe(false)
    second()
    const end = await exclusive
    const [other, ordinary] = [turns.take('exclusive', never), turns.take('shared', never)]
    expect([await settled(other), await settled(ordinary)]).toEqual([false, false])
    end()
    ;(await other)()
    expect(await settled(ordinary)).toBe(true)
  })

  it('are first come, first served: new shared ones do not keep an exclusive one waiting', async () => {
    const turns = new ProcessTurns()
    const end = await turns.take('shared', never)
    const exclusive = turns.take('exclusive', never)
    const late = turns.take('shared', never)
    expect(await settled(late)).toBe(false)
    end()
    expect([await settled(exclusive), await settled(late)]).toEqual([true, false])
  })

  it('can be waited for no longer; those behind go on', async () => {
    const turns = new ProcessTurns()
    const end = await turns.take('shared', never)
    const giveUp = new AbortController()
    const exclusive = turns.take('exclusive', giveUp.signal)
    const late = turns.take('shared', never)
    giveUp.abort(new Error('enough'))
    await expect(exclusive).rejects.toThrow('enough')
    expect(await settled(late)).toBe(true)
    end()
    await expect(turns.take('shared', giveUp.signal)).rejects.toThrow('enough')
  })

  it('end once, however often that is said', async () => {
    const turns = new ProcessTurns()
    const [first, second] = [await turns.take('shared', never), await turns.take('shared', never)]
    first()
    first()
    const exclusive = turns.take('exclusive', never)
    expect(await settled(exclusive)).toBe(false)
    second()
    expect(await settled(exclusive)).toBe(true)
  })

  it('end when the work in them throws', async () => {
    const turns = new ProcessTurns()
    const work = turns.shared(never, () => {
      throw new Error('bad')
    })
    await expect(work).rejects.toThrow('bad')
    expect(await settled(turns.take('exclusive', never))).toBe(true)
  })
})
