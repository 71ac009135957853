/** The end of a piece of `text` that is to end at `at` or just before, so that no pair of surrogates is cut. */
export function endOfPiece(text: string, at: number): number {
  if (at >= text.length) return text.length
  const last = text.charCodeAt(at - 1)
  return last >= 0xd800 && last <= 0xdbff ? at - 1 : at
}
