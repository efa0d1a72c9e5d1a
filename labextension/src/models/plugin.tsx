// Shows model versions in the sidebar, and each on a page of its own.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import React from 'react';
import type { ModelView } from '../api/generated.js';
import { addPage } from '../pages/addPage.js';
import { type PageOptions, PageWidget } from '../pages/PageWidget.js';
import { CommandIDs, IClient, IJobsModel, ISidebar } from '../tokens.js';
import { referenceOf } from './groups.js';
import { ModelPage } from './ModelPage.js';
import { ModelsSection } from './ModelsSection.js';

class ModelPageWidget extends PageWidget<'models/show'> {
  constructor(
    options: PageOptions,
    model: string,
    private readonly onDeployed: () => void
  ) {
    super(options, 'models/show', { model }, 'snapml-model-page');
    const [name] = model.split('@');
    this.card = this.beside('models/card', { model });
    this.lineage = this.beside('models/lineage', { model });
    this.approvals = this.beside('approvals/list', { of: `model:${name}` });
  }

  protected titleOf(value: ModelView): string {
    return referenceOf(value);
  }

  protected draw(value: ModelView): React.JSX.Element {
    return (
      <ModelPage
        model={value}
        card={this.card.value}
        lineage={this.lineage.value}
        approvals={this.approvals.value}
        onDeployed={this.onDeployed}
      />
    );
  }

  private readonly card;
  private readonly lineage;
  private readonly approvals;
}

export const modelsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:models',
  description: 'Shows model versions in the SnapML sidebar and on pages.',
  autoStart: true,
  requires: [IClient, IJobsModel, ISidebar],
  optional: [ITranslator, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    client: IClient,
    jobs: IJobsModel,
    sidebar: ISidebar,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    const { commands } = app;
    const options = { client, jobs, commands, trans };
    const toEndpoints = (): void => sidebar.open('endpoints');
    sidebar.addSection({
      id: 'models',
      title: trans.__('Models'),
      rank: 13,
      share: 2.5,
      collapsed: true,
      widget: new ModelsSection(options)
    });
    addPage(app, restorer, {
      id: 'snapml-model',
      command: CommandIDs.openModel,
      label: trans.__('Show Model'),
      caption: trans.__('Show all that is known of a model version'),
      args: {
        type: 'object',
        properties: {
          model: { type: 'string', description: trans.__('NAME@VERSION') }
        },
        required: ['model']
      },
      keyOf: args => args.model as string,
      make: args =>
        new ModelPageWidget(options, args.model as string, toEndpoints)
    });
  }
};
