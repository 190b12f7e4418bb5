/** Controls (C0, DEL, C1), what turns the direction of text, and the line ends that only Unicode knows. */
export const steering = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu

/** For one line of a terminal. Contents come from anywhere: nothing among them may steer it, or reorder what is read. */
export function visible(text: string): string {
  return text.replace(steering, '?')
}

/** JSON whose texts say the same, with what steers a terminal written as escapes. */
export function visibleJson(value: unknown): string {
  return JSON.stringify(value).replace(
    steering,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
