// Does something at once, and then no more often than so: Lumino's Throttler
// spaces calls only where it delays the first one, too.

import type { IDisposable } from '@lumino/disposable';

const DRAWING_MS = 250;

export class Pace implements IDisposable {
  constructor(
    private readonly act: () => void,
    /** Milliseconds from one time to the next; those between drawings unless said. */
    private readonly pause = DRAWING_MS
  ) {}

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Have it done: soon, and once for all who ask until then. */
  invoke(): void {
    if (this.timer !== undefined || this._isDisposed) {
      return;
    }
    const wait = Math.max(0, this.last + this.pause - Date.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.last = Date.now();
      this.act();
    }, wait);
  }

  dispose(): void {
    this._isDisposed = true;
    clearTimeout(this.timer);
  }

  private last = -Infinity;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private _isDisposed = false;
}
