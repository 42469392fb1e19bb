"""web: serves the built web client; the client itself is the TypeScript beside this package."""
