// Shows the gateway's API keys on a page.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import React from 'react';
import type { KeyList } from '../api/generated.js';
import { addPage } from '../pages/addPage.js';
import { confirmed } from '../pages/confirmed.js';
import { type PageOptions, PageWidget } from '../pages/PageWidget.js';
import { CommandIDs, IClient, IJobsModel } from '../tokens.js';
import { KeysPage } from './KeysPage.js';
import type { Key } from './standing.js';

class KeysPageWidget extends PageWidget<'keys/list'> {
  constructor(options: PageOptions) {
    super(options, 'keys/list', {}, 'snapml-keys-page');
  }

  protected titleOf(): string {
    return this.trans.__('API keys');
  }

  protected draw(value: KeyList): React.JSX.Element {
    return <KeysPage list={value} onRevoke={this.onRevoke} />;
  }

  private readonly onRevoke = async (key: Key): Promise<void> => {
    const { trans } = this;
    const agreed = await confirmed({
      title: trans.__('Revoke this key?'),
      body: trans.__(
        '%1 (%2…) will be refused from now on. That cannot be undone.',
        key.name,
        key.prefix
      ),
      keep: trans.__('Keep it'),
      go: trans.__('Revoke key')
    });
    if (agreed) {
      await this.client.call('keys/revoke', { key: key.id });
      this.query.refresh();
    }
  };
}

export const keysPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:keys',
  description: "Shows the gateway's API keys on a page, makes and ends them.",
  autoStart: true,
  requires: [IClient, IJobsModel],
  optional: [ITranslator, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    client: IClient,
    jobs: IJobsModel,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    const { commands } = app;
    const options = { client, jobs, commands, trans };
    addPage(app, restorer, {
      id: 'snapml-keys',
      command: CommandIDs.openKeys,
      label: trans.__('Show API Keys'),
      caption: trans.__('Show who may ask the gateway, and how much'),
      args: { type: 'object', properties: {} },
      keyOf: () => 'all',
      make: () => new KeysPageWidget(options)
    });
  }
};
