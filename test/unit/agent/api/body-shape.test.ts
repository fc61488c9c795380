import test from 'ava';
import { shaped } from '#agent/api/body-shape.ts';
import { CONTAINER } from '#agent/api/container-shape.ts';

function problem(body: unknown): string {
  try {
    shaped(body, CONTAINER);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

test('what is of its type stays as it is, nulls and unknown fields too', (t) => {
  const body = { Image: 'x', Env: null, Cmd: ['a'], Odd: [1], HostConfig: { Memory: 5, Odd: 'x' } };
  t.deepEqual(shaped(body, CONTAINER), body);
});

test('one word stands for a list of it', (t) => {
  t.deepEqual(shaped({ Cmd: 'echo hi', HostConfig: { CapAdd: 'NET_RAW' } }, CONTAINER) as object, {
    Cmd: ['echo hi'],
    HostConfig: { CapAdd: ['NET_RAW'] },
  });
});

test('another type is refused, with the name of the field', (t) => {
  t.is(
    problem({ HostConfig: { Memory: 'x' } }),
    'json: cannot unmarshal string into Go struct field body.HostConfig.Memory of type int64',
  );
  t.regex(problem({ Env: 'A=1' }), /cannot unmarshal string .*body\.Env of type \[\]string/);
  t.regex(problem({ Labels: ['a'] }), /cannot unmarshal array .*body\.Labels of type map\[string\]string/);
  t.regex(problem({ Cmd: [1] }), /body\.Cmd/);
  t.regex(problem({ Tty: 'yes' }), /of type bool/);
  t.regex(problem({ HostConfig: [] }), /cannot unmarshal array .*body\.HostConfig of type struct/);
  t.regex(problem({ HostConfig: { Memory: 1.5 } }), /Memory/);
  t.regex(problem(null), /cannot unmarshal null/);
  t.regex(problem({ HostConfig: { Mounts: [null] } }), /Mounts/);
});
