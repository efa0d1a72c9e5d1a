// One typed door to the server: a command's name and parameters in, its result out.

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { CallOptions, IClient } from '../tokens.js';
import { toCommandError, UnreachableError } from './errors.js';
import type { Commands } from './generated.js';

const API = 'snapml/api';
const TIMEOUT_MS = 30_000;

export class Client implements IClient {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  async call<C extends keyof Commands>(
    command: C,
    params: Commands[C]['params'],
    options: CallOptions = {}
  ): Promise<Commands[C]['result']> {
    const url = URLExt.join(this.settings.baseUrl, API, command);
    const limit = AbortSignal.timeout(options.timeout ?? TIMEOUT_MS);
    const signal = options.signal
      ? AbortSignal.any([options.signal, limit])
      : limit;
    const init = { method: 'POST', body: JSON.stringify(params), signal };
    let response: Response;
    let text: string;
    try {
      response = await ServerConnection.makeRequest(url, init, this.settings);
      text = await response.text();
    } catch (error) {
      throw new UnreachableError(error);
    }
    if (!response.ok) {
      throw toCommandError(response.status, parse(text));
    }
    // The server validates every result against the schema these types are made from.
    return JSON.parse(text) as Commands[C]['result'];
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
