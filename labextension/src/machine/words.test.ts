import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trans } from '../sections/sample.js';
import { gpu, holder } from './sample.js';
import {
  formatCpus,
  gpuMemory,
  holderName,
  holdingText,
  kindWord,
  leasedOf,
  share,
  troubleText,
  whoText
} from './words.js';

describe('a share', () => {
  it('is a percentage, whatever the figures', () => {
    assert.equal(share(1, 4), 25);
    assert.equal(share(9, 4), 100);
    assert.equal(share(-1, 4), 0);
    assert.equal(share(1, 0), 0);
  });
});

describe('processors', () => {
  it('may be parts of one', () => {
    assert.equal(formatCpus(2), '2');
    assert.equal(formatCpus(0.5), '0.5');
    assert.equal(formatCpus(0.1 + 0.2), '0.3');
  });
});

describe('the memory of GPUs', () => {
  it('is summed over all', () => {
    assert.equal(gpuMemory({ gpus: [] }), null);
    assert.deepEqual(
      gpuMemory({ gpus: [gpu({ used: 5 }), gpu({ used: 7 })] }),
      { used: 12, total: 48_000 }
    );
  });

  it('is leased as its holders asked for', () => {
    const holders = [holder({ leased: 8000 }), holder({ used: 500 })];
    assert.equal(leasedOf(gpu({ holders })), 8000);
  });
});

describe('a holder', () => {
  it('has what it asked for beside what it uses', () => {
    assert.equal(
      holdingText(holder({ leased: 8000, used: 7800, peak: 7900 }), trans),
      'Asked for 8,000 MiB, uses 7,800 MiB, at most 7,900 so far'
    );
    assert.equal(
      holdingText(holder({ leased: 24_000, whole: true, pid: null }), trans),
      'Asked for the whole GPU, uses none yet'
    );
    assert.equal(holdingText(holder({ used: 500 }), trans), 'Uses 500 MiB');
    assert.equal(
      holdingText(holder(), trans),
      'Uses some, the driver does not say how much'
    );
  });

  it('has the name a person knows', () => {
    const kernel = { kind: 'kernel', name: 'notebook /a/b/c.ipynb' };
    assert.equal(holderName(holder(), trans), 'train');
    assert.equal(
      holderName(holder({ ...kernel, notebook: '/a/b/c.ipynb' }), trans),
      'c.ipynb'
    );
    assert.equal(
      holderName(holder({ ...kernel, kernel: '0123456789' }), trans),
      'Kernel 01234567'
    );
  });

  it('is told from others of its name', () => {
    assert.equal(whoText(holder(), trans), 'process 100');
    assert.equal(whoText(holder({ pid: null }), trans), '');
    assert.equal(whoText(holder({ kind: 'process' }), trans), 'by ada');
  });

  it('is told by its kind', () => {
    const words = ['job', 'endpoint', 'kernel', 'process', 'newer'].map(kind =>
      kindWord(holder({ kind }), trans)
    );
    assert.deepEqual(words, [
      'Job',
      'Endpoint',
      'Notebook',
      'Other process',
      'Other process'
    ]);
    assert.equal(kindWord(holder({ dirty: true }), trans), 'Left over');
  });

  it('says where it holds what it should not', () => {
    assert.equal(troubleText(holder({ leased: 10, peak: 10 }), trans), '');
    assert.equal(
      troubleText(holder({ leased: 10, peak: 11 }), trans),
      'It used more than it asked for.'
    );
    assert.equal(
      troubleText(holder({ dirty: true, leased: 10 }), trans),
      'Its job has ended, but process 100 still holds the memory.'
    );
    assert.equal(
      troubleText(holder({ dirty: true, pid: null }), trans),
      'Its job has ended, but the memory is still held.'
    );
  });
});
