/**
 * A whole number of 53 bits that stands for a text: equal texts have equal numbers. Of 10 000 different texts two have the
 * same number with a probability of 6 · 10⁻⁹ (n² / 2⁵⁴), unless somebody looks for such texts. It is part of stored state:
 * never change it for existing state.
 */
export function textNumber(text: string): number {
  // cyrb53: two multiplicative hashes of 32 bits over UTF-16 units, mixed at the end.
  let [a, b] = [0xdeadbeef, 0x41c6ce57]
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x9e3779b1)
    b = Math.imul(b ^ unit, 0x5f356495)
  }
  const mixedA = mix(a) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35)
  const mixedB = mix(b) ^ Math.imul(mixedA ^ (mixedA >>> 13), 0xc2b2ae35)
  return (mixedB & 0x1fffff) * 2 ** 32 + (mixedA >>> 0)
}

function mix(bits: number): number {
  return Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
}
