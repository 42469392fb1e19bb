/** A number in groups of five, for reading aloud. */
export const groupedDigits = (digits: string): string[] => digits.match(/.{1,5}/g) ?? [];
