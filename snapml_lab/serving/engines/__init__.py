"""One small module an engine; each is a payload that serves until it is stopped and says ready after a canary."""
