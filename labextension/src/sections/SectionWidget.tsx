// A section of the sidebar as a widget.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { IClient } from '../tokens.js';
import { SeenWidget } from './SeenWidget.js';

export abstract class SectionWidget extends SeenWidget {
  constructor(client: IClient, trans: TranslationBundle) {
    super(client, trans);
    this.addClass('snapml-Section');
  }
}
