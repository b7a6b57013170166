import t from 'tap';
import { createPlaces } from '../../src/limits/places.ts';

const sizes = { ofAccount: 2, ofNetwork: 4, ofAll: 6, isOn: true, retryAfterSeconds: 300 };
const [home, neighbour, elsewhere] = ['2001:db8:1:2::1', '2001:db8:1:2::ffff', '203.0.113.7'];
const taken = { code: 'rate_limited', status: 429, headers: { 'retry-after': '300' } };
const full = { code: 'service_unavailable', status: 503, headers: { 'retry-after': '300' } };

t.test('places at an instance', async (t) => {
  t.test('are two of an account, wherever it comes from, until it has given one back', async (t) => {
    const places = createPlaces(sizes);
    const leave = places.take({ userId: 'ada', ip: home });
    places.take({ userId: 'ada', ip: elsewhere });
    t.throws(() => places.take({ userId: 'ada', ip: home }), taken);
    places.take({ userId: 'grace', ip: home });
    leave();
    leave();
    places.take({ userId: 'ada', ip: home });
    t.throws(() => places.take({ userId: 'ada', ip: home }), taken, 'one is given back once only');
  });

  t.test('are four of a network, however many accounts it has, and leave some for others', async (t) => {
    const places = createPlaces(sizes);
    for (const userId of ['a', 'b', 'c', 'd']) places.take({ userId, ip: home });
    t.throws(() => places.take({ userId: 'e', ip: neighbour }), taken, 'of the same /64');
    places.take({ userId: 'e', ip: elsewhere });
    places.take({ userId: 'f', ip: elsewhere });
    t.throws(() => places.take({ userId: 'g', ip: elsewhere }), full);
  });

  t.test('are as many as like without limits, but no more than the process can bear', async (t) => {
    const places = createPlaces({ ...sizes, isOn: false });
    for (let count = 0; count < 6; count += 1) places.take({ userId: 'ada', ip: home });
    t.throws(() => places.take({ userId: 'ada', ip: home }), full);
  });
});
