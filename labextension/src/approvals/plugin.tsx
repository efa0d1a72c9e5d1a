// Shows in the sidebar what is to be decided and what was, and each request on a page of its own.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import React from 'react';
import type { PromotionView } from '../api/generated.js';
import { addPage } from '../pages/addPage.js';
import { type PageOptions, PageWidget } from '../pages/PageWidget.js';
import { CommandIDs, IClient, IJobsModel, ISidebar } from '../tokens.js';
import { ApprovalPage } from './ApprovalPage.js';
import { ApprovalsSection } from './ApprovalsSection.js';
import { whatText } from './words.js';

class ApprovalPageWidget extends PageWidget<'approvals/show'> {
  constructor(options: PageOptions, request: string) {
    super(options, 'approvals/show', { request }, 'snapml-approval-page');
  }

  protected titleOf(value: PromotionView): string {
    return `${whatText(value)} → ${value.target}`;
  }

  protected draw(value: PromotionView): React.JSX.Element {
    return <ApprovalPage promotion={value} />;
  }
}

export const approvalsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:approvals',
  description:
    'Shows requests for promotion in the SnapML sidebar and on pages, to be decided on.',
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
    const title = trans.__('Approvals');
    sidebar.addSection({
      id: 'approvals',
      title,
      rank: 14,
      share: 2,
      collapsed: true,
      widget: new ApprovalsSection({ ...options, title })
    });
    addPage(app, restorer, {
      id: 'snapml-approval',
      command: CommandIDs.openApproval,
      label: trans.__('Show Request'),
      caption: trans.__('Show a request for promotion, and decide on it'),
      args: {
        type: 'object',
        properties: {
          approval: {
            type: 'string',
            description: trans.__('Id of the request')
          }
        },
        required: ['approval']
      },
      keyOf: args => args.approval as string,
      make: args => new ApprovalPageWidget(options, args.approval as string)
    });
  }
};
