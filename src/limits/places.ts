import { networkOf } from '../http/network.ts';
import { Problem } from '../problems/problem.ts';

/** Whose a place is. */
interface Holder {
  readonly userId: string;
  readonly ip: string;
}

/** Places at an instance for answers that take long, each of which keeps a connection. */
export interface Places {
  /**
   * Takes a place.
   *
   * @returns what gives it back, however often it is called
   * @throws Problem `rate_limited` when the account or its network has all that it may have
   * @throws Problem `service_unavailable` when there is none left for anybody
   */
  take(holder: Holder): () => void;
}

interface PlacesOptions {
  readonly ofAccount: number;
  /** Accounts are easily opened: who has many of them is still in few networks. */
  readonly ofNetwork: number;
  /** What the process can bear, and holds without limits, too. */
  readonly ofAll: number;
  readonly isOn: boolean;
  /** When those who are turned away may come back. */
  readonly retryAfterSeconds: number;
}

export function createPlaces({ ofAccount, ofNetwork, ofAll, isOn, retryAfterSeconds }: PlacesOptions): Places {
  const taken = new Set<{ readonly userId: string; readonly network: string }>();

  return {
    take({ userId, ip }) {
      const place = { userId, network: networkOf(ip) };
      if (taken.size >= ofAll) throw new Problem('service_unavailable', { retryAfterSeconds });
      const others = [...taken];
      const isShareTaken =
        others.filter((other) => other.userId === userId).length >= ofAccount ||
        others.filter(({ network }) => network === place.network).length >= ofNetwork;
      if (isOn && isShareTaken) throw new Problem('rate_limited', { retryAfterSeconds });
      taken.add(place);
      return () => void taken.delete(place);
    },
  };
}
