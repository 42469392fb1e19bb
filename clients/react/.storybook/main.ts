/** For who installs Storybook; it is no dependency here. See README.md. */
export default {
  stories: ["../stories/*.stories.tsx"],
  framework: "@storybook/react-vite",
  core: { disableTelemetry: true },
};
