import type { FeatureSpec } from '../../src/features/spec.ts'
import { compileFeatures } from '../../src/features/compile.ts'
import type { Shared } from '../../src/pipeline/partition-context.ts'
import type { LogEnds } from '../../src/pipeline/topic-life.ts'
import type { Prediction } from '../../src/record/prediction.ts'
import type { Plan } from '../../src/topology/plan.ts'

/** Small lies of what surrounds the pipeline, each of which must turn a run red. */
export interface Sabotage {
  readonly plan?: (plan: Plan) => Plan
  readonly shared?: (shared: Shared) => Shared
}

export const sabotages: Readonly<Record<string, Sabotage>> = {
  'what other sources store is not found': {
    shared: (shared) => ({
      ...shared,
      store: {
        ...shared.store,
        load: async (bucket, request, signal) => {
          const loaded = await shared.store.load(bucket, request, signal)
          const { layouts } = shared.plan.features
          const isState = (layout: number): boolean =>
            layouts[layout]!.source !== shared.plan.featuresSpec.scored && !layouts[layout]!.merge
          const merged = loaded.merged.map((parts, i) =>
            isState(request.merged[i]!.layout) ? new Map<string, Buffer>() : parts,
          )
          return { ...loaded, merged }
        },
      },
    }),
  },

  'parts of other partitions are left out where they were read before, whatever was written since': {
    shared: (shared) => ({
      ...shared,
      store: {
        ...shared.store,
        load: async (bucket, request, signal) => {
          const loaded = await shared.store.load(bucket, request, signal)
          const merged = loaded.merged.map(
            (parts, i) => new Map([...parts].filter(([input]) => !request.merged[i]!.held?.has(input))),
          )
          return { ...loaded, merged }
        },
      },
    }),
  },

  'features with an undelayed neighbour wait for nothing': {
    plan: (plan) => {
      const { features } = plan.featuresSpec
      const isNeighbour = (a: FeatureSpec, b: FeatureSpec): boolean =>
        a.kind !== 'ratio' && b.kind !== 'ratio' && a.over === b.over && a.from === b.from && b.delayMs === 0
      const waiting = features.map((feature) =>
        features.some((other) => isNeighbour(feature, other)) ? { ...feature, delayMs: 0 } : feature,
      )
      return { ...plan, featuresSpec: { ...plan.featuresSpec, features: waiting } }
    },
  },

  'the ends of the logs are those of the question before': {
    shared: (shared) => {
      let before: LogEnds = new Map()
      return {
        ...shared,
        topics: {
          ...shared.topics,
          logEnds: async (inputs, signal) => {
            const ends = await shared.topics.logEnds(inputs, signal)
            const old = new Map([...ends].map(([input]) => [input, before.get(input) ?? 0]))
            before = ends
            return old
          },
        },
      }
    },
  },

  'the flag unaligned is left out': {
    shared: (shared) =>
      withPredictions(shared, (made) => ({
        ...made,
        flags: made.flags.filter((flag) => flag !== 'unaligned'),
      })),
  },

  'a prediction says that it saw one record more': {
    shared: (shared) =>
      withPredictions(shared, (made) => {
        const seen = Object.entries(made.watermarks ?? {}).map(([input, offset]) => [input, offset + 1])
        return { ...made, watermarks: Object.fromEntries(seen) as Record<string, number> }
      }),
  },

  'where is ignored': { plan: withFeatures((feature) => ({ ...feature, where: everything })) },

  'the right edge of windows is closed': {
    plan: withFeatures((feature) => ({ ...feature, edges: feature.edges.startsWith('[') ? '[]' : '(]' })),
  },
  'the left edge of windows is open': {
    plan: withFeatures((feature) => ({ ...feature, edges: feature.edges.endsWith(']') ? '(]' : '()' })),
  },
  'the event is always in its window': { plan: withFeatures((feature) => ({ ...feature, current: true })) },
  'delays are a millisecond too long': {
    plan: withFeatures((feature) => ({ ...feature, delayMs: feature.delayMs + 1 })),
  },
}

const everything = { text: 'true', test: () => true }

type Windowed = Exclude<FeatureSpec, { readonly kind: 'ratio' }>

/** Another definition than the one that is checked. */
function withFeatures(change: (feature: Windowed) => FeatureSpec): (plan: Plan) => Plan {
  return (plan) => {
    const features = plan.featuresSpec.features.map((feature) =>
      feature.kind === 'ratio' ? feature : change(feature),
    )
    const featuresSpec = { ...plan.featuresSpec, features }
    return { ...plan, featuresSpec, features: compileFeatures(featuresSpec) }
  }
}

function withPredictions(shared: Shared, change: (made: Prediction) => Prediction): Shared {
  const { prediction } = shared.outlet
  return {
    ...shared,
    outlet: { ...shared.outlet, prediction: (made, raw) => prediction(change(made), raw) },
  }
}
