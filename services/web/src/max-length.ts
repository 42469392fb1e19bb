/** The attribute of a text field; none for a limit that is not known. */
export function maxLength(chars: number): { readonly maxLength?: number } {
  return Number.isFinite(chars) ? { maxLength: chars } : {};
}
