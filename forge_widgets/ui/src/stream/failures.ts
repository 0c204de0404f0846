// Why a way ended, where more than one of them ends so. Words for people, without a full stop.
import { NEWEST } from './protocol';
import type { Failure } from './transport';

export const DELETED: Failure = { reason: 'this session was deleted', kind: 'deleted' };
export const UNREADABLE: Failure = { reason: 'the server sent what this version can’t read', kind: 'seldom' };

/** Say who has to be brought up to date where nothing is common with a side that speaks these versions. */
export function noCommonProtocol(spoken: readonly number[], side: 'server' | 'kernel'): Failure {
  const weAreOld = Math.max(...spoken) > NEWEST;
  const reason = weAreOld ? `this page is older than the ${side}: reload it` : `the ${side} is older than this page: update forge-widgets there`;
  return { reason, kind: 'refused' };
}
