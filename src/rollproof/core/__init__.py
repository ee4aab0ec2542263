"""The pure middle: nouns and arithmetic. No I/O, no clock, no threads; the standard library and numpy only."""
