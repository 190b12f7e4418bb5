import type { CompiledFeatures, PartLog, PartView } from '../../src/features/compiled.ts'
import type { Event } from '../../src/record/event.ts'

/** One partition, one entity, one layout: inserts events and reads rows by name. */
export class OnePart {
  readonly features: CompiledFeatures
  part: PartLog

  constructor(features: CompiledFeatures) {
    this.features = features
    this.part = features.newPart(features.layouts[0]!)
  }

  insert(...events: readonly Event[]): void {
    for (const event of events) this.features.insert(this.features.layouts[0]!, this.part, event)
  }

  row(event: Event, view: Partial<PartView> = {}): Record<string, number> {
    const { numbers } = this.features.row(event, { own: () => this.part, foreign: () => [], ...view })
    return Object.fromEntries(this.features.names.map((name, i) => [name, numbers[i]!]))
  }

  /** Inserts an event and reads its row. */
  take(event: Event): Record<string, number> {
    this.insert(event)
    return this.row(event)
  }

  isCapped(event: Event): boolean {
    return this.features.row(event, { own: () => this.part, foreign: () => [] }).capped
  }

  reload(untilOffset = Infinity): void {
    const layout = this.features.layouts[0]!
    this.part = this.features.decode(layout, this.features.encode(layout, this.part, untilOffset))
  }
}
