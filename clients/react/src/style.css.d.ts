/** The look of the kit; importing it is all. */
export {};
