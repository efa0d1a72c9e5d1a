"""One function per thing a person can do; magic, CLI, REST, Python and the reference are made from these."""
