/** A model loaded beside `crashing-model.ts` crashes on a row with this value; exact as a float32. */
export const crashes = 2 ** 30
