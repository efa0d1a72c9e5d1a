import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diffLines } from './diff.js';

const kinds = (diff: string): string[] =>
  diffLines(diff).map(line => line.kind);

describe('a diff', () => {
  it('is told apart line by line', () => {
    const diff = '--- a\n+++ b\n@@ -1,2 +1,2 @@\n same\n-old\n+new\n';
    assert.deepEqual(kinds(diff), [
      'file',
      'file',
      'place',
      'same',
      'removed',
      'added'
    ]);
  });

  it('knows a removed line that begins with dashes from a file', () => {
    const diff = '--- a\n+++ b\n@@ -1 +1 @@\n--- note\n+++ i\n';
    assert.deepEqual(kinds(diff).slice(3), ['removed', 'added']);
  });

  it('knows where the next file begins', () => {
    const diff =
      '@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\ndiff --git a/x b/x\n@@ -0,0 +1 @@\n+c';
    assert.deepEqual(kinds(diff), [
      'place',
      'removed',
      'added',
      'file',
      'file',
      'place',
      'added'
    ]);
  });
});
