"""Python environments: which packages a run had, and (later) environments made for heavy engines."""
