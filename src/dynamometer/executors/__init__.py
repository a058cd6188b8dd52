"""Start a worker somewhere, and keep a handle on it."""
