import { Type } from '@sinclair/typebox'

const strict = { additionalProperties: false } as const
const value = Type.Union([Type.String(), Type.Number(), Type.Boolean()])
const name = Type.String({ minLength: 1, maxLength: 200 })

const part = {
  params: Type.Optional(Type.Record(Type.String(), value, { description: 'Params of the pipeline, by name.' })),
  select: Type.Optional(Type.Array(name, { description: 'Step ids; left out: all.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, description: 'At most so many input rows, blocks, days or pages a step.' })),
}

export const startBody = Type.Object(
  {
    ...part,
    fresh: Type.Optional(Type.Boolean({ description: 'Does everything again that the steps have done.' })),
    untilComplete: Type.Optional(Type.Boolean({ description: 'Plans and runs again until nothing is missing.' })),
    follow: Type.Optional(Type.Boolean({ description: 'Goes on with what is new until it is stopped.' })),
  },
  strict,
)

export const planBody = Type.Object(
  { ...part, offline: Type.Optional(Type.Boolean({ description: 'Asks no endpoint: what needs a head is left open.' })) },
  strict,
)

export const stopBody = Type.Object(
  { now: Type.Optional(Type.Boolean({ description: 'Ends units that are under way with what is committed of them.' })) },
  strict,
)

export const pauseBody = Type.Object({}, strict)

export const parallelBody = Type.Object(
  {
    step: Type.Optional(name),
    parallel: Type.Integer({
      minimum: 1,
      maximum: 1_000,
      description: 'Units, or requests in flight, at once: what `parallel` says in the file.',
    }),
  },
  strict,
)

export const retryBody = Type.Object({ step: Type.Optional(name) }, strict)

export const resetBody = Type.Object(
  {
    step: name,
    range: Type.Optional(Type.String({ maxLength: 200, description: 'A..B, both ends included; left out: everything of the step.' })),
  },
  strict,
)

export const sessionBody = Type.Object({ token: Type.String({ maxLength: 4_096 }) }, strict)
