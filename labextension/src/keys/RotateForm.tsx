// A new key in the place of another: how long the old one goes on beside it.

import React, { useState } from 'react';
import { usePage } from '../pages/context.js';
import { SelectField } from '../pages/Field.js';
import { Act, Refusal } from '../pages/parts.js';
import { useForm } from '../pages/useForm.js';
import { useSection } from '../sections/context.js';
import { OVERLAPS, overlapWord } from './draft.js';
import type { Made } from './Secret.js';
import type { Key } from './standing.js';

export function RotateForm(props: {
  known: Key;
  /** With the key that was made; without one where it was left. */
  onDone: (made: Made | null) => void;
}): React.JSX.Element {
  const { known, onDone } = props;
  const { trans, client } = useSection();
  const { reload } = usePage();
  const { frame, busy, faults, problem, send } = useForm(['overlap'] as const);
  const [overlap, setOverlap] = useState<(typeof OVERLAPS)[number]>('1d');
  const make = (): void =>
    void send({}, async () => {
      const params = { key: known.id, overlap };
      const key = await client.call('keys/rotate', params);
      reload();
      onDone({ name: key.name, secret: key.secret ?? '' });
    });
  return (
    <form
      ref={frame}
      className="snapml-Form snapml-is-inner"
      aria-label={trans.__('A new key in the place of %1', known.name)}
      data-testid="snapml-key-rotate-form"
      onSubmit={event => event.preventDefault()}
      onKeyDown={event => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          onDone(null);
        }
      }}
    >
      <Refusal problem={problem} />
      <SelectField
        label={trans.__('How long the old key goes on beside the new one')}
        hint={trans.__(
          'The new key has the same scope and limits; what it spends counts from nothing.'
        )}
        choices={OVERLAPS.map(each => [each, overlapWord(each, trans)])}
        value={overlap}
        fault={faults.overlap}
        autoFocus
        testid="snapml-key-overlap"
        onChange={setOverlap}
      />
      <span className="snapml-Page-acts">
        <Act
          strong
          submit
          onClick={make}
          busy={busy}
          testid="snapml-key-rotate-make"
        >
          {trans.__('Make the new key')}
        </Act>
        <Act onClick={() => onDone(null)}>{trans.__('Leave it')}</Act>
      </span>
    </form>
  );
}
