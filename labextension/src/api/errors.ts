// What a command's failure looks like on this side: the server's three fields,
// or the plain fact that no answer came.

import type { TranslationBundle } from '@jupyterlab/translation';

/** What a person is told: a sentence, and what to do about it. */
export interface Problem {
  readonly message: string;
  readonly fix: string | null;
}

/** The server answered, and refused. */
export class CommandError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fix: string | null
  ) {
    super(message);
    this.name = 'CommandError';
  }
}

/** No answer, or none in time. */
export class UnreachableError extends Error {
  constructor(cause: unknown) {
    super('The Jupyter server did not answer.', { cause });
    this.name = 'UnreachableError';
  }
}

/**
 * Read a refusal's body. Proxies and old servers answer with HTML or nothing,
 * so every field has to prove itself.
 */
export function toCommandError(status: number, body: unknown): CommandError {
  const fields: Record<string, unknown> =
    typeof body === 'object' && body !== null ? { ...body } : {};
  const text = (key: string): string | null => {
    const value = fields[key];
    return typeof value === 'string' && value.trim() !== '' ? value : null;
  };
  return new CommandError(
    status,
    text('code') ?? `http_${status}`,
    text('message') ?? `The server answered with status ${status}.`,
    text('fix')
  );
}

/** Any failure in a person's words. */
export function toProblem(error: unknown, trans: TranslationBundle): Problem {
  if (error instanceof UnreachableError) {
    return {
      message: trans.__('The Jupyter server did not answer.'),
      fix: null
    };
  }
  if (error instanceof CommandError) {
    if (error.status === 404 && error.code === 'http_404') {
      return {
        message: trans.__('This Jupyter server does not know SnapML.'),
        fix: trans.__(
          'Install snapml-lab in the environment that runs the server, then restart it.'
        )
      };
    }
    return { message: error.message, fix: error.fix };
  }
  return {
    message: error instanceof Error ? error.message : String(error),
    fix: null
  };
}
