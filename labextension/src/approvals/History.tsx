// What was asked for and what came of it, newest first.

import React from 'react';
import type { PromotionView } from '../api/generated.js';
import { usePage } from '../pages/context.js';
import { Go } from '../pages/parts.js';
import { Table } from '../pages/Table.js';
import { useSection } from '../sections/context.js';
import { formatTime } from '../sections/words.js';
import { stageText, whatText } from './words.js';

export function History(props: {
  promotions: readonly PromotionView[];
}): React.JSX.Element {
  const { trans } = useSection();
  const { openApproval } = usePage();
  return (
    <Table
      label={trans.__('Promotions')}
      head={[
        trans.__('What'),
        trans.__('As'),
        trans.__('State'),
        trans.__('Asked by'),
        trans.__('When')
      ]}
      rows={props.promotions.map(item => ({
        key: item.id,
        cells: [
          <Go key="what" onClick={() => openApproval(item.id)}>
            {whatText(item)}
          </Go>,
          item.target,
          stageText(item, trans),
          item.actor,
          formatTime(item.at)
        ]
      }))}
    />
  );
}
