/** Turns the direction of reading for what follows: `photo\u202egpj.exe` looks like a picture. */
const BIDI_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A name, or a text in one line of others, as it is shown: nothing in it turns the direction of reading. */
export function displayName(name: string): string {
  return name.replace(BIDI_CONTROLS, "");
}
