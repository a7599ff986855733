/** Pieces of both tabs. Whatever comes from elsewhere is text to React, never markup. */

import { Badge, Box, Button, Link, Spinner, Table, Text } from "@chakra-ui/react";
import { useEffect, useState, type ReactNode } from "react";

import { clock } from "./format";

/** The colours that Airflow has for its own states. */
const PALETTES: Record<string, string> = {
  FAILED: "failed",
  SUCCEEDED: "success",
  RUNNING: "running",
  STARTING: "scheduled",
};

export const Status = ({ of: status }: { of: string }): ReactNode => (
  <Badge borderRadius="full" colorPalette={PALETTES[status] ?? "queued"} flexShrink={0} px={2} variant="solid">
    {status}
  </Badge>
);

/** A link out of Airflow; only its text if there is no address. */
export const Outward = ({ to, children }: { to: string | null; children: ReactNode }): ReactNode =>
  to === null ? (
    <span>{children}</span>
  ) : (
    <Link color="fg.info" href={to} rel="noopener noreferrer" target="_blank">
      {children}
      <span aria-hidden="true"> ↗</span>
    </Link>
  );

export const Time = ({ at, now }: { at: Date; now: Date }): ReactNode => (
  <time dateTime={at.toISOString()} title={at.toISOString()}>
    {clock(at, now)}
  </time>
);

export const Loading = (): ReactNode => (
  <Box p={4} role="status">
    <Spinner aria-label="Loading" size="sm" />
  </Box>
);

export const Problem = ({ sentence }: { sentence: string }): ReactNode => (
  <Text borderColor="border.error" borderLeftWidth={3} color="fg.error" pl={2} role="alert">
    {sentence}
  </Text>
);

interface Column {
  title: string;
  /** Numbers stand at the right. */
  isNumber?: boolean;
}

/** A table that scrolls sideways by itself where there is little room. */
export const Rows = ({
  label,
  columns,
  rows,
}: {
  label: string;
  columns: Column[];
  rows: { key: string; cells: ReactNode[] }[];
}): ReactNode => (
  <Table.ScrollArea>
    <Table.Root aria-label={label} size="sm">
      <Table.Header>
        <Table.Row>
          {columns.map(({ title, isNumber }) => (
            <Table.ColumnHeader key={title} scope="col" textAlign={isNumber ? "end" : "start"}>
              {title}
            </Table.ColumnHeader>
          ))}
        </Table.Row>
      </Table.Header>
      <Table.Body>
        {rows.map(({ key, cells }) => (
          <Table.Row key={key}>
            {cells.map((cell, index) => (
              <Table.Cell
                key={columns[index]?.title}
                overflowWrap="anywhere"
                textAlign={columns[index]?.isNumber ? "end" : "start"}
                whiteSpace={columns[index]?.isNumber ? "nowrap" : "normal"}
              >
                {cell}
              </Table.Cell>
            ))}
          </Table.Row>
        ))}
      </Table.Body>
    </Table.Root>
  </Table.ScrollArea>
);

/** A bar of shares, each with its colour; the words under it say the same. */
export const Bar = ({
  label,
  shares,
}: {
  label: string;
  shares: { key: string; size: number; palette: string }[];
}): ReactNode => (
  <Box aria-label={label} borderRadius="sm" display="flex" gap="1px" height={3} overflow="hidden" role="img">
    {shares.map(({ key, size, palette }) => (
      <Box bg={`${palette}.solid`} flexBasis={0} flexGrow={size} key={key} minWidth="3px" />
    ))}
  </Box>
);

export const palette = (status: string): string => PALETTES[status] ?? "queued";

/** A button that copies a text, also where the page has no secure context. */
export const Copy = ({ text, label }: { text: string; label: string }): ReactNode => {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => {
      setCopied(false);
    }, 2000);
    return () => {
      clearTimeout(timer);
    };
  }, [isCopied]);
  return (
    <Button
      aria-label={label}
      onClick={() => {
        void copy(text).then(setCopied);
      }}
      size="2xs"
      variant="outline"
    >
      <span aria-live="polite">{isCopied ? "Copied" : "Copy"}</span>
    </Button>
  );
};

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    return isDone;
  }
}

/** Return the time, every second as long as something lives. */
export function useNow(isLive: boolean): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    setNow(new Date());
    if (!isLive) {
      return undefined;
    }
    const timer = setInterval(() => {
      setNow(new Date());
    }, 1000);
    return () => {
      clearInterval(timer);
    };
  }, [isLive]);
  return now;
}
