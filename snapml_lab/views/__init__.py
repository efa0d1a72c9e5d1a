"""How results look: complete text, static HTML, and charts that need neither kernel nor network."""
