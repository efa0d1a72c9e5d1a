// The lines of a unified diff, told apart. Pure.

export type DiffKind = 'added' | 'removed' | 'place' | 'file' | 'same';

export interface DiffLine {
  readonly kind: DiffKind;
  readonly text: string;
}

export function diffLines(diff: string): DiffLine[] {
  const lines = diff.replace(/\n$/, '').split('\n');
  /** Lines still to come of a stretch, old and new: inside of it no line names a file. */
  let old = 0;
  let fresh = 0;
  return lines.map(text => {
    const place = /^@@ -\d+(,\d+|) \+\d+(,\d+|) @@/.exec(text);
    if (place !== null) {
      old = Number(place[1].slice(1) || 1);
      fresh = Number(place[2].slice(1) || 1);
      return { kind: 'place', text };
    }
    if (old <= 0 && fresh <= 0) {
      return { kind: 'file', text };
    }
    switch (text[0]) {
      case '+':
        fresh -= 1;
        return { kind: 'added', text };
      case '-':
        old -= 1;
        return { kind: 'removed', text };
      case '\\':
        return { kind: 'same', text };
      default:
        old -= 1;
        fresh -= 1;
        return { kind: 'same', text };
    }
  });
}
