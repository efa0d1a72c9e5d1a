// The answer of a reading command, kept current while somebody looks at it.

import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';
import { CommandError } from '../api/errors.js';
import type { Commands } from '../api/generated.js';
import type { IClient } from '../tokens.js';

const SPACING_MS = 1_000;
const RETRY_MS = 3_000;
/** Without news, for what changes without the ledger's knowing (the catalog is a folder of files). */
const REST_MS = 10_000;
const TIMEOUT_MS = 10_000;

export class LiveQuery<C extends keyof Commands> implements IDisposable {
  /** Asks for nothing until it is awake. */
  constructor(
    private readonly client: Pick<IClient, 'call'>,
    private readonly command: C,
    private params: Commands[C]['params'],
    private readonly rest = REST_MS,
    /** Milliseconds between two questions while there is news. */
    private readonly spacing = SPACING_MS
  ) {}

  /** The latest answer, or null before the first. */
  get value(): Commands[C]['result'] | null {
    return this._value;
  }

  /** Why the last question was not answered; null where it was. */
  get problem(): unknown {
    return this._problem;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Whether anybody looks. */
  set awake(awake: boolean) {
    if (this._awake !== awake) {
      this._awake = awake;
      this.plan();
    }
  }

  /** What is shown may be old: ask soon, at most once a second. */
  refresh(): void {
    this.due = true;
    this.plan();
  }

  /** Ask once, though nobody may be looking. */
  glance(): void {
    this.glancing = true;
    this.refresh();
  }

  /** Ask something else, at once. The answer known stays until the new one comes. */
  ask(params: Commands[C]['params']): void {
    this.params = params;
    this.turn += 1;
    this.asked = -Infinity;
    this.refresh();
  }

  /** Take an answer that came another way. */
  accept(value: Commands[C]['result']): void {
    this.turn += 1;
    this._value = value;
    this._problem = null;
    this._changed.emit();
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    clearTimeout(this.timer);
    this.ending.abort();
    Signal.clearData(this);
  }

  private plan(): void {
    clearTimeout(this.timer);
    const wanted = this._awake || this.glancing;
    if (!wanted || this.asking || this._isDisposed) {
      return;
    }
    const pause = isRefusal(this._problem)
      ? this.rest
      : this._problem !== null
        ? RETRY_MS
        : this.due
          ? this.spacing
          : this.rest;
    const wait = Math.max(0, this.asked + pause - Date.now());
    this.timer = setTimeout(() => void this.read(), wait);
  }

  private async read(): Promise<void> {
    const turn = this.turn;
    this.asking = true;
    this.due = false;
    this.glancing = false;
    this.asked = Date.now();
    try {
      const value = await this.client.call(this.command, this.params, {
        timeout: TIMEOUT_MS,
        signal: this.ending.signal
      });
      if (turn === this.turn) {
        this._value = value;
        this._problem = null;
      }
    } catch (error) {
      if (turn === this.turn) {
        this._problem = error;
      }
    }
    this.asking = false;
    if (turn !== this.turn) {
      this.asked = -Infinity;
      this.due = true;
    }
    if (!this._isDisposed) {
      this._changed.emit();
      this.plan();
    }
  }

  private _value: Commands[C]['result'] | null = null;
  private _problem: unknown = null;
  private _awake = false;
  private _isDisposed = false;
  private due = true;
  private glancing = false;
  private asking = false;
  private asked = -Infinity;
  /** Counts what made answers on their way out of date. */
  private turn = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly ending = new AbortController();
  private readonly _changed = new Signal<this, void>(this);
}

/** Asking the same again would be refused again. */
function isRefusal(problem: unknown): boolean {
  return problem instanceof CommandError && problem.status < 500;
}
