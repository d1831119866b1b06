// A small live line: time along the bottom, the newest value at the right edge.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { clock } from "./format";

export interface ChartProps {
  label: string;
  times: number[];
  values: (number | null)[];
  stroke: string;
  fill?: string;
  /** fixed half-range around zero; without it the range follows the values */
  around?: number;
  format: (value: number) => string;
}

const GRID = { stroke: "rgba(130,150,175,0.10)", width: 1 };
const FONT = '10px -apple-system, BlinkMacSystemFont, "Segoe UI", Inter, Roboto, "Liberation Sans", sans-serif';

function options(props: ChartProps, width: number, height: number): uPlot.Options {
  const { around } = props;
  return {
    width,
    height,
    pxAlign: false,
    legend: { show: false },
    cursor: { show: false },
    padding: [6, 2, 0, 0],
    scales: {
      x: { time: true },
      y: around === undefined ? {} : { range: (_, low, high) => {
              const size = Math.max(around, -(low ?? 0), high ?? 0);
              return [-size, size];
            } },
    },
    axes: [
      {
        stroke: "#6f8096",
        font: FONT,
        size: 18,
        gap: 2,
        space: 60,
        grid: { show: false },
        ticks: { show: false },
        values: (_, splits) => splits.map((split) => clock(split * 1e6).slice(0, 5)),
      },
      {
        stroke: "#6f8096",
        font: FONT,
        side: 1,
        size: 46,
        gap: 4,
        space: 26,
        grid: GRID,
        ticks: { show: false },
        ...(around === undefined ? {} : { splits: (_plot: uPlot, _axis: number, low: number, high: number) => symmetric(low, high) }),
        values: (_, splits) => splits.map((split) => props.format(split)),
      },
    ],
    series: [
      {},
      {
        stroke: props.stroke,
        width: 1.5,
        spanGaps: false,
        points: { show: false },
        ...(props.fill === undefined ? {} : { fill: props.fill }),
      },
    ],
  };
}

function symmetric(low: number, high: number): number[] {
  const size = Math.floor(Math.max(-low, high) / 10) * 10;
  return [-size, 0, size];
}

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);

  useEffect(() => {
    const host = box.current;
    if (host === null) return;
    const made = new uPlot(options(props, host.clientWidth || 280, host.clientHeight || 80), [[], []], host);
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: host.clientWidth, height: host.clientHeight }),
    );
    observer.observe(host);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, []);

  const last = props.times[props.times.length - 1];
  const newest = props.values[props.values.length - 1];
  useEffect(() => {
    plot.current?.setData([props.times, props.values] as uPlot.AlignedData);
  }, [props.times.length, last, newest]);

  return <div class="chart" ref={box} role="img" aria-label={props.label} />;
}
