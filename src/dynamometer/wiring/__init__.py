"""The only room that builds real objects and joins rooms: a file becomes a plan, a plan becomes a running campaign."""
